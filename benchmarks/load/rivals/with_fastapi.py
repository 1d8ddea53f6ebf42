"""FastAPI on uvicorn: a plain function, which FastAPI runs in threads."""

from __future__ import annotations

import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, File, Form

from benchmarks.load.rivals.pipeline import open_pipeline

app = FastAPI()
pipeline = open_pipeline()


@app.post("/search")
def search(image: Annotated[bytes, File()], collections: Annotated[str, Form()]) -> dict[str, str | None]:
    """The best match's person."""
    return {"person": pipeline.search(image, collections).person}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
