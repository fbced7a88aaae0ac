package cdn

import "strings"

// Disk is room on a disk that a node's cache may fill.
type Disk struct {
	// Path is the directory that the cache makes its own. Empty means one in the node's state directory.
	Path string `json:"path,omitempty"`
	// Size is how much the files in it may take.
	Size Size `json:"size"`
}

// MinDisk is the least room that is of use: a disk is filled in segments of 256 MiB, of which a few must be there at once.
const MinDisk = 1 << 30

// ParseDisk parses "PATH:SIZE", such as "/var/cache/nearcast:100GiB", or a size alone.
func ParseDisk(s string) (Disk, error) {
	var d Disk
	size := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		d.Path, size = s[:i], s[i+1:]
		if d.Path == "" {
			return Disk{}, Errorf(Invalid, "", `disk %q: want PATH:SIZE, such as "/var/cache/nearcast:100GiB", or a size alone`, clip(s))
		}
	}
	var err error
	if d.Size, err = ParseSize(size); err != nil {
		return Disk{}, Errorf(Invalid, "", `disk %q: want PATH:SIZE, such as "/var/cache/nearcast:100GiB": %w`, clip(s), err)
	}
	if d.Size < MinDisk {
		return Disk{}, Errorf(Invalid, "", "disk %q: want at least 1GiB", clip(s))
	}
	return d, nil
}

// String formats d the way [ParseDisk] reads it.
func (d Disk) String() string {
	if d.Path == "" {
		return d.Size.String()
	}
	return d.Path + ":" + d.Size.String()
}

// MarshalText implements [encoding.TextMarshaler].
func (d Disk) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseDisk].
func (d *Disk) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDisk(string(text))
	return err
}
