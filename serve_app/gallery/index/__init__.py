"""The vector index: its interface, and its implementations on a Milvus server and on milvus-lite."""
