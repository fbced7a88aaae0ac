package main

import (
	"io"
	"os"
)

// isTerminal reports whether somebody may see what is written there. (What goes to /dev/null counts as seen.)
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
