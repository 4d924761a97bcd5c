"""The APIs beside the Store: asked of every endpoint that offers them, merged, and sent on."""
