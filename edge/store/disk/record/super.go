package record

import (
	"encoding/binary"
	"fmt"
)

const (
	// SuperSize is the size of a superblock file, in octets: two slots, which are written in turn.
	SuperSize = 2 * superSlot

	superSlot  = 4096
	superMagic = 0x315245505553434e        // "NCSUPER1"
	superBody  = 8 + 4 + 4 + 16 + 16 + 5*8 // what the checksum behind it covers
)

// Super is what a disk says of itself.
type Super struct {
	Disk    Identity // this disk
	Seed    Identity // of the hashes; the same on all disks of a store
	Boot    uint64   // counts the times that the store was opened
	Session uint64   // counts the changes of the set of disks: one that is behind was away while the others went on
	Set     uint64   // hash of the disks that were together
	First   uint64   // number of the first segment that counts: those below were removed, whether their files are still there or not
	Serial  uint64   // counts the writes of the superblock; the slot goes by it
}

// Slot encodes the superblock, and says where in the file it goes: magic 8 | version 4 | zeros 4 | disk 16 | seed 16 | boot, session, set, serial 8
// each | CRC32C 4 | zeros up to 4096.
func (s Super) Slot() (b []byte, off int64) {
	le := binary.LittleEndian
	b = le.AppendUint64(nil, superMagic)
	b = le.AppendUint32(b, version)
	b = le.AppendUint32(b, 0)
	b = append(append(b, s.Disk[:]...), s.Seed[:]...)
	for _, n := range [...]uint64{s.Boot, s.Session, s.Set, s.First, s.Serial} {
		b = le.AppendUint64(b, n)
	}
	b = le.AppendUint32(b, Sum(b))
	return append(b, make([]byte, superSlot-len(b))...), int64(s.Serial%2) * superSlot
}

// VersionError says that a disk was written by another version of this program.
type VersionError struct{ Found uint32 }

// Error implements error.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the disk has the format version %d, this program knows %d: run the program that wrote it, "+
		"or empty the directory to begin anew", e.Found, version)
}

// ParseSuper reads a superblock file: the newer one of its two slots that is not damaged.
func ParseSuper(b []byte) (Super, error) {
	var best Super
	err := ErrDamaged
	for ; len(b) >= superBody+4; b = b[min(len(b), superSlot):] {
		s, slotErr := parseSlot(b)
		if _, other := slotErr.(*VersionError); other { //nolint:errorlint // made just there
			return Super{}, slotErr
		}
		if slotErr == nil && (err != nil || s.Serial > best.Serial) {
			best, err = s, nil
		}
	}
	return best, err
}

// parseSlot relies on the beginning of a superblock, and where its checksum is, being the same in all versions.
func parseSlot(b []byte) (Super, error) {
	le := binary.LittleEndian
	if le.Uint64(b) != superMagic || le.Uint32(b[superBody:]) != Sum(b[:superBody]) {
		return Super{}, ErrDamaged
	}
	if v := le.Uint32(b[8:]); v != version {
		return Super{}, &VersionError{Found: v}
	}
	return Super{
		Disk: Identity(b[16:32]), Seed: Identity(b[32:48]),
		Boot: le.Uint64(b[48:]), Session: le.Uint64(b[56:]), Set: le.Uint64(b[64:]),
		First: le.Uint64(b[72:]), Serial: le.Uint64(b[80:]),
	}, nil
}
