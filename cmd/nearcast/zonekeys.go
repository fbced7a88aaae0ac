package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"nearcast/cdn"
	"nearcast/control/zonekey"
	"nearcast/internal/atomicfile"
	"nearcast/internal/dnskey"
)

// keyFile is where a scheduler that stands alone keeps the key that signs its zones, in its folder.
const keyFile = "dnssec.json"

// storedKeys is the content of a key file.
type storedKeys struct {
	Keys []cdn.ZoneKey `json:"keys"`
	// Secret opens the keys if the scheduler has no secret file: then the file's mode is all that protects them.
	Secret []byte `json:"secret,omitempty"`
}

// standaloneKeys returns the keys that a scheduler signs with that stands alone, and the secrets that open them. They are those of its folder, and
// made if there are none. Without a folder they are new at each start.
func (r *role) standaloneKeys(f *schedulerFlags) (keys []cdn.ZoneKey, secrets [][]byte, err error) {
	if f.secretFile != "" {
		all, err := readSecrets(f.secretFile)
		if err != nil {
			return nil, nil, err
		}
		secrets = zoneSecrets(all)
	}
	if f.dir == "" {
		r.log.Warn("zones are signed with a key that is lost when this process ends, so that no parent can have its DS record; to keep it, give --dir DIR")
		made, err := makeKeys(secrets)
		return made.Keys, made.secrets(secrets), err
	}
	path := filepath.Join(f.dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		made, err := makeKeys(secrets)
		if err == nil {
			err = made.write(path)
		}
		if err != nil {
			return nil, nil, err
		}
		for _, k := range made.Keys {
			r.log.Info("a key that signs zones was made", "file", path, "key", k.ID, "tag", dnskey.Tag(k.Public))
		}
		return made.Keys, made.secrets(secrets), nil
	}
	if err != nil {
		return nil, nil, err
	}
	return openStored(path, text, secrets)
}

// openStored reads a key file, and seals the keys anew if that was not with the secret in use.
func openStored(path string, text []byte, secrets [][]byte) ([]cdn.ZoneKey, [][]byte, error) {
	var stored storedKeys
	if err := json.Unmarshal(text, &stored); err != nil || len(stored.Keys) == 0 {
		return nil, nil, cdn.Errorf(cdn.Invalid, "", "%s: is not a file of keys (%v); put its backup there, or delete it: then a new key is made, and the parents need its DS record", path, err)
	}
	opens := stored.secrets(secrets)
	changed := false
	for i, k := range stored.Keys {
		if len(opens) == 0 {
			return nil, nil, cdn.Errorf(cdn.Invalid, "", "%s: the keys are sealed; --secret-file is missing", path)
		}
		again, fresh, err := dnskey.Reseal(k, opens)
		if err != nil {
			return nil, nil, cdn.Errorf(cdn.Invalid, "", "%s: %w", path, err)
		}
		stored.Keys[i], changed = again, changed || fresh
	}
	if len(secrets) > 0 && stored.Secret != nil {
		stored.Secret, changed = nil, true
	}
	if changed {
		return stored.Keys, opens, stored.write(path)
	}
	return stored.Keys, opens, nil
}

// secrets are those that open the keys, the one in use first.
func (s *storedKeys) secrets(fleet [][]byte) [][]byte {
	if s.Secret == nil {
		return fleet
	}
	return append(append([][]byte{}, fleet...), s.Secret)
}

func (s *storedKeys) write(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}

// makeKeys makes a key, active at once, under the first of the secrets, or one of its own.
func makeKeys(secrets [][]byte) (made storedKeys, err error) {
	if len(secrets) == 0 {
		made.Secret = make([]byte, 32)
		rand.Read(made.Secret)
		secrets = [][]byte{made.Secret}
	}
	now := time.Now()
	k, err := dnskey.New(secrets[0], now, nil)
	if err != nil {
		return made, err
	}
	made.Keys, err = zonekey.Add(nil, k, zonekey.Times{}, now)
	return made, err
}
