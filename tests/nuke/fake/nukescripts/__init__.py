"""What the plug-in uses of `nukescripts`, as Foundry's published source has it."""
