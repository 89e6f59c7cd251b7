"""RecipeService."""

from __future__ import annotations

import grpc

from understudy.core.colour import ColourConfig
from understudy.daemon.decode import recipes
from understudy.daemon.refs import Refs
from understudy.daemon.site import SiteOf
from understudy.v1 import recipe_pb2, recipe_pb2_grpc


class RecipeServicer(recipe_pb2_grpc.RecipeServiceServicer):
    def __init__(self, site: SiteOf, colour: ColourConfig) -> None:
        self._site, self._colour = site, colour

    def GetRecipe(
        self, request: recipe_pb2.GetRecipeRequest, context: grpc.ServicerContext
    ) -> recipe_pb2.GetRecipeResponse:
        refs = Refs(site=self._site(context), colour=self._colour)
        return recipe_pb2.GetRecipeResponse(recipe=recipes.message_of(recipes.resolved(request, refs)))
