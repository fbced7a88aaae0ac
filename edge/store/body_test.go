package store_test

import (
	"testing"

	"nearcast/edge/store"
)

func TestBodySlice(t *testing.T) {
	b := store.NewBody([]byte("hello"), nil, []byte(", "), []byte("world"))
	if b.Len() != 12 {
		t.Fatalf("Len() = %d, want 12", b.Len())
	}
	tests := []struct {
		name          string
		start, length int64
		want          string
	}{
		{"whole", 0, 12, "hello, world"},
		{"front", 0, 3, "hel"},
		{"across", 3, 6, "lo, wo"},
		{"tail", 11, 1, "d"},
		{"beyond", 10, 100, "ld"},
		{"outside", 12, 5, ""},
		{"none", 4, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			for p := range b.Slice(tt.start, tt.length) {
				if len(p) == 0 {
					t.Error("an empty piece")
				}
				got += string(p)
			}
			if got != tt.want {
				t.Errorf("Slice(%d, %d) = %q, want %q", tt.start, tt.length, got, tt.want)
			}
		})
	}
	for range b.Slice(0, 12) {
		break // a reader that stops early must not be handed more
	}
}
