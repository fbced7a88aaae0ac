package feedclient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"nearcast/cdn"
	"nearcast/control/decode"
	"nearcast/control/protocol"
	"nearcast/internal/atomicfile"
)

// The files in the client's directory.
const (
	fileCurrent  = "snapshot"
	filePrevious = "snapshot.previous"
	fileCursor   = "purge-cursor.json"
)

// disk is the client's directory. Snapshots hold secrets, so that only this user
// may read what is there.
type disk struct {
	dir string
}

// header is the first line of a snapshot's file; the snapshot's JSON follows.
type header struct {
	LogID string `json:"log_id"` // of the log that the snapshot came from
	Sum   string `json:"sum"`    // protocol.Sum of LogID and the JSON
}

// writeSnapshot makes data the current snapshot and the current one the previous.
func (d disk) writeSnapshot(logID string, data []byte) error {
	head, err := json.Marshal(header{logID, protocol.Sum(append([]byte(logID), data...))})
	if err != nil {
		return fmt.Errorf("storing the configuration: %w", err)
	}
	current := filepath.Join(d.dir, fileCurrent)
	// A crash between the two leaves the previous snapshot alone, which is enough.
	if err := os.Rename(current, filepath.Join(d.dir, filePrevious)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("storing the configuration: %w", err)
	}
	if err := atomicfile.Write(current, bytes.Join([][]byte{head, data}, []byte("\n")), 0o600); err != nil {
		return fmt.Errorf("storing the configuration: %w", err)
	}
	return nil
}

// readSnapshot reads and verifies one of the two snapshots.
func (d disk) readSnapshot(name string, decoder *decode.Decoder) (logID string, snap *cdn.Snapshot, err error) {
	content, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		return "", nil, err
	}
	first, data, _ := bytes.Cut(content, []byte("\n"))
	var head header
	if err := json.Unmarshal(first, &head); err != nil {
		return "", nil, fmt.Errorf("the file is damaged: %w", err)
	}
	if head.Sum != protocol.Sum(append([]byte(head.LogID), data...)) {
		return "", nil, cdn.Errorf(cdn.Invalid, "", "the file is damaged: its checksum does not match")
	}
	snap, err = decoder.Snapshot(data)
	return head.LogID, snap, err
}

// cursor is a place in a purge log. The zero cursor is in no log.
type cursor struct {
	LogID    string       `json:"log_id"`
	Revision cdn.Revision `json:"revision"` // applied up to and including this one
}

func (d disk) writeCursor(cur *cursor) error {
	data, err := json.Marshal(cur)
	if err == nil {
		err = atomicfile.Write(filepath.Join(d.dir, fileCursor), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("storing the purge cursor: %w", err)
	}
	return nil
}

func (d disk) readCursor() (*cursor, error) {
	data, err := os.ReadFile(filepath.Join(d.dir, fileCursor))
	if err != nil {
		return nil, err
	}
	cur := new(cursor)
	if err := json.Unmarshal(data, cur); err != nil {
		return nil, fmt.Errorf("the file is damaged: %w", err)
	}
	return cur, nil
}
