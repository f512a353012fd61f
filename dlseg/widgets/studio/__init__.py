"""The CRF studio: `engine` computes, `view` draws, `controls` are moved, `preview` is the page's own answer."""
