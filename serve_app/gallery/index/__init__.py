"""The vector index: its interface, and implementations on a Milvus server and on milvus-lite."""
