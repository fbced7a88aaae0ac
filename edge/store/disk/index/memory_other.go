//go:build !linux

package index

func wide([]byte) {}
