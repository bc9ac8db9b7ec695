"""An extension of Jupyter servers: clusters over HTTP. Imports jupyter_server when it is loaded."""
