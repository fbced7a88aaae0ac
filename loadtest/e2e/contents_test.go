package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"nearcast/loadtest/labtest"
)

// content is a real file, and what its origin says of it.
type content struct {
	domain    string // under which visitors find it
	path      string // of its URL
	body      []byte
	mediaType string
	tag       string   // the origin's entity tag
	codings   []string // that its route offers, the preferred one first; none if it is not to be coded
}

// class is a kind of file: how many are taken of it, and which they are.
type class struct {
	name       string // of the folder
	count      int
	from, to   int64 // bounds of the size in octets
	extensions string
}

// copyFiles copies some of the real files below root into a folder for each class, and returns their names.
// Which ones chance decides.
func copyFiles(t *testing.T, rng *rand.Rand, root, dir string) []string {
	t.Helper()
	const texts = ".go.html.js.css.svg.txt.md.json."
	var names []string
	for _, c := range []class{
		{"empty", 1, 0, 0, ""},
		{"tiny", 2, 1, 1023, texts},
		{"text", 10, 1024, 1<<20 - 1, texts},
		{"image", 4, 1, 1<<20 - 1, ".png.jpeg.gif."},
		{"archive", 2, 1, 1<<20 - 1, ".zip.gz.tar."},
		{"large", 4, 1 << 20, 10 << 20, ""},
		{"huge", 1, 10<<20 + 1, 1 << 26, ""},
	} {
		found := filesOf(t, root, c)
		if len(found) == 0 {
			t.Fatalf("no file of the class %s below %s", c.name, root)
		}
		rng.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
		for i, from := range found[:min(len(found), c.count)] {
			name := fmt.Sprintf("%s/%d-%s", c.name, i, path.Base(from))
			copyFile(t, filepath.Join(root, from), filepath.Join(dir, name))
			names = append(names, name)
		}
	}
	return names
}

func filesOf(t *testing.T, root string, c class) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		ext := path.Ext(name)
		if info.Size() >= c.from && info.Size() <= c.to && (c.extensions == "" || ext != "" && strings.Contains(c.extensions, ext+".")) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	octets, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, octets, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Domains of the sites of [applyRealSites].
const (
	realWeb    = "real.web.example"
	realBucket = "real.bucket.example"
)

// applyRealSites applies a site in front of each origin whose routes have codings of several kinds.
func applyRealSites(t *testing.T, lab *labtest.Lab) {
	t.Helper()
	id, secret := bucketCredentials(t, lab)
	text := fmt.Sprintf(`
site: real-web
domains: [%s]
origin: {urls: ["%s"]}
routes:
- match: {path_prefix: /archive/}
  ttl: 10m
- match: {path_prefix: /huge/}
  compress: {codings: [zstd, gzip], types: ["text/*", "application/*", "image/*"]}
- match: {path_prefix: /large/}
  compress: {types: ["text/*", "application/*", "image/*"]}
- compress: true
---
site: real-bucket
domains: [%s]
origin: {type: s3, urls: ["%s"], bucket: {name: %s, access_key_id: %s, secret_access_key: %s}}
routes:
- ttl: 10m
  compress: {codings: [gzip, br], min_size: 4KiB, types: ["text/*", "application/*", "image/*"]}
`, realWeb, lab.Origins[0].URL, realBucket, lab.Origins[1].URL, lab.Origins[1].Bucket, id, secret)
	name := filepath.Join(t.TempDir(), "sites.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Run(t, "apply", "-f", name)
}

// bucketCredentials returns what signs requests to the S3 origin.
func bucketCredentials(t *testing.T, lab *labtest.Lab) (id, secret string) {
	t.Helper()
	text, err := os.ReadFile(lab.Origins[1].CredentialsFile)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c.ID, c.Secret
}

// realContents returns the files of dir as both sites serve them. What the origins say of them they are asked
// themselves, past the CDN.
func realContents(t *testing.T, lab *labtest.Lab, dir string, names []string) []*content {
	t.Helper()
	id, secret := bucketCredentials(t, lab)
	bucket, err := minio.New(strings.TrimPrefix(lab.Origins[1].URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(id, secret, ""), Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []*content
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		at := (&url.URL{Path: "/" + name}).EscapedPath()
		web := &content{domain: realWeb, path: at, body: body}
		web.mediaType, web.tag = askWeb(t, lab.Origins[0].URL+at)
		web.codings = webCodings(web)
		info, err := bucket.StatObject(t.Context(), lab.Origins[1].Bucket, name, minio.StatObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		stored := &content{domain: realBucket, path: at, body: body, mediaType: info.ContentType, tag: `"` + info.ETag + `"`}
		if len(body) >= 4096 {
			stored.codings = []string{"gzip", "br"}
		}
		all = append(all, web, stored)
	}
	return all
}

// askWeb asks the web origin for the media type and the entity tag of a file.
func askWeb(t *testing.T, address string) (mediaType, tag string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", address, resp.Status)
	}
	return resp.Header.Get("Content-Type"), resp.Header.Get("ETag")
}

// webCodings says what the routes of the web site offer for a file.
func webCodings(c *content) []string {
	folder := strings.SplitN(c.path, "/", 3)[1]
	text := strings.HasPrefix(c.mediaType, "text/") || strings.Contains(c.mediaType, "json") ||
		strings.Contains(c.mediaType, "javascript") || strings.HasPrefix(c.mediaType, "image/svg+xml")
	switch {
	case folder == "huge":
		return []string{"zstd", "gzip"}
	case folder == "large", folder != "archive" && text && len(c.body) >= 1024:
		return []string{"br", "zstd", "gzip"}
	}
	return nil
}
