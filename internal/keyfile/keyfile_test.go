package keyfile_test

import (
	"strings"
	"testing"

	"nearcast/internal/keyfile"
)

func TestParseSecrets(t *testing.T) {
	for _, test := range []struct{ name, text, want, problem string }{
		{"empty", "", "", ""},
		{"two", "# of the app\n\n app1\t0123456789abcdef \r\napp2 0123456789ABCDEF", "app1=0123456789abcdef app2=0123456789ABCDEF", ""},
		{"one column", "app1", "", "line 1: want ID SECRET, got 1 columns"},
		{"three columns", "# x\napp1 0123456789abcdef x", "", "line 2: want ID SECRET, got 3 columns"},
		{"short", "app1 0123456789abcde", "", "line 1: the secret of app1 has 15 octets"},
		{"twice", "app1 0123456789abcdef\napp1 0123456789abcdef", "", "line 2: app1 has a secret already"},
		{"long ID", strings.Repeat("a", 65) + " 0123456789abcdef", "", "line 1: want an ID"},
		{"strange ID", "a\x01 0123456789abcdef", "", "line 1: want an ID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := keyfile.ParseSecrets(test.text)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("got %v, want %q", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Fields(test.want)
			for _, w := range want {
				if id, secret, _ := strings.Cut(w, "="); string(got[id]) != secret {
					t.Errorf("%s has %q, want %q", id, got[id], secret)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d secrets, want %d", len(got), len(want))
			}
		})
	}
}

func FuzzParseSecrets(f *testing.F) {
	f.Add("app1 0123456789abcdef\n# x\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := keyfile.ParseSecrets(text)
		if err != nil && all != nil {
			t.Error("an error, and secrets")
		}
		for id, secret := range all {
			if id == "" || len(secret) < keyfile.MinSecret {
				t.Errorf("%q has the secret %q", id, secret)
			}
		}
	})
}
