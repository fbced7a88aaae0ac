package main

import (
	"fmt"
	"io"
	"sync"
)

// report gets what is found out.
type report struct {
	mu  sync.Mutex // guards out
	out io.Writer
}

// say adds a line.
func (r *report) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

const mebi = 1 << 20
