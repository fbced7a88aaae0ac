package local

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"nearcast/internal/atomicfile"
)

// secrets are made once for a directory and kept.
type secrets struct {
	Token string
	S3    s3Credentials
}

// s3Credentials is the content of the credentials file that endpoints.json names.
type s3Credentials struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
}

// writeFiles writes what the processes read at their start.
func (l *Lab) writeFiles() (secrets, error) {
	var s secrets
	var err error
	if s.Token, err = ensureSecret(l.layout.TokenFile()); err != nil {
		return s, err
	}
	if _, err = ensureSecret(l.layout.SecretFile()); err != nil {
		return s, err
	}
	secret, err := ensureSecret(filepath.Join(l.cfg.Dir, "secrets", "s3-secret"))
	if err != nil {
		return s, err
	}
	s.S3 = s3Credentials{AccessKeyID: "nearcast-lab", SecretAccessKey: secret}
	if err := writeJSON(l.credentialsFile(), s.S3); err != nil {
		return s, err
	}
	if err := l.ensureCertificate(time.Now()); err != nil {
		return s, err
	}
	if err := l.writeFleet(); err != nil {
		return s, err
	}
	return s, l.makeStateDirs()
}

func (l *Lab) credentialsFile() string {
	return filepath.Join(l.cfg.Dir, "secrets", "s3-credentials.json")
}

func (l *Lab) writeFleet() error {
	text, err := json.Marshal(l.plan.Fleet)
	if err != nil {
		return fmt.Errorf("encoding the fleet: %w", err)
	}
	if text, err = yaml.JSONToYAML(text); err != nil {
		return fmt.Errorf("encoding the fleet: %w", err)
	}
	return atomicfile.Write(l.layout.FleetFile(), text, 0o600)
}

// ensureSecret returns the secret in a file, which is made with 256 random bits
// if it does not exist.
func ensureSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		if s := strings.TrimSpace(string(text)); s != "" {
			return s, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	raw := make([]byte, 32)
	rand.Read(raw)
	secret := hex.EncodeToString(raw)
	return secret, atomicfile.Write(path, []byte(secret+"\n"), 0o600)
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}
