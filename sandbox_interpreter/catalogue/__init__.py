"""The bundled images: where they are, how they are built, and how they are proved."""
