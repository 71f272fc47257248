# The bundled image as it is; its label alone is added, by which what is left behind is counted.
ARG PARENT
FROM ${PARENT}
