package netns

// Visit is Call on the caller's own thread.
func Visit(path string, f func()) error { return visit(path, f) }
