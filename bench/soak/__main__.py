from bench.soak import main

if __name__ == "__main__":
    main()
