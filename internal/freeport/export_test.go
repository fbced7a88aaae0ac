package freeport

// Free tells tests what Port looks at.
func Free(port int) bool { return free(port) }
