//! LLM wire dialects: the part of a request that a hop must read, and the frames of a stream.
