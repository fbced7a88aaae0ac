package store

import (
	"errors"
	"sync"
)

// fatalText remembers the last thing that the server called fatal.
type fatalText struct {
	mu   sync.Mutex // guards the following
	text string
}

func (f *fatalText) set(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = text
}

func (f *fatalText) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.text == "" {
		return nil
	}
	return errors.New(f.text)
}
