//go:build !linux

package index

func exact([]byte) {}
