"""The processes of OpenSQT, one package each; they share code only through `opensqt`."""
