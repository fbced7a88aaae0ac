package disk

import (
	"encoding/binary"

	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

// Flush writes what is buffered, as happens by itself after a while.
func (s *Store) Flush() {
	for _, v := range s.volumes {
		if !v.dead() {
			_ = v.syncLanes()
		}
	}
}

// NewerVersion makes a superblock one of a version that is not known yet.
func NewerVersion(f fsys.File) {
	b := make([]byte, record.SuperSize)
	_, _ = f.ReadAt(b, 0)
	for off := 0; off < len(b); off += record.SuperSize / 2 {
		slot := b[off:]
		if binary.LittleEndian.Uint64(slot) != 0 {
			slot[8] = 99
			binary.LittleEndian.PutUint32(slot[88:], record.Sum(slot[:88]))
		}
	}
	_, _ = f.WriteAt(b, 0)
}
