//go:build !linux

package index

func wide([]byte) {}

func populate([]byte) {}
