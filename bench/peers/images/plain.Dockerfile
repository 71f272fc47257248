# For systems that need no more than a Python: their own default images run as root, with Python as the main process.
ARG PARENT
FROM ${PARENT}
USER root
ENV HOME=/root
CMD ["python3"]
