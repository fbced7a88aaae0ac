package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"nearcast/loadtest/labtest"
)

// file is a real file and what it must look like through the CDN.
type file struct {
	name string // below the root
	sum  [sha256.Size]byte
}

// treeFiles returns the regular files below root.
func treeFiles(t *testing.T, root string) []file {
	t.Helper()
	var files []file
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		files = append(files, file{name, sha256.Sum256(content)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRealFiles sends thousands of the Go distribution's files through edge nodes
// that DNS names, twice, from the web origin and from the S3 origin.
func TestRealFiles(t *testing.T) {
	root := filepath.Join(goroot(t), "src")
	files := treeFiles(t, root)
	if len(files) < 5000 {
		t.Fatalf("only %d files below %s", len(files), root)
	}
	lab := labtest.Start(t, "--content", root, "--s3-content", root)
	for domain, count := range map[string]func(*testing.T, *labtest.Lab) map[string]int{
		"www.web.example": webRequests, "www.bucket.example": bucketRequests,
	} {
		t.Run(strings.Split(domain, ".")[1], func(t *testing.T) {
			first := fetchAll(t, lab, domain, files)
			second := fetchAll(t, lab, domain, files)
			t.Logf("%d files: %d hits in the first pass, %d in the second", len(files), first, second)
			if second*100 < int64(len(files))*99 {
				t.Errorf("hit ratio of the second pass %d/%d, want at least 99 %%", second, len(files))
			}
			requests := count(t, lab)
			for _, f := range files {
				if n := requests["/"+f.name]; n != 1 {
					t.Errorf("%d origin requests for %s, want 1", n, f.name)
				}
			}
		})
	}
}

// fetchAll fetches every file once and compares it; it returns the number of hits.
// Every second visitor is near London.
func fetchAll(t *testing.T, lab *labtest.Lab, domain string, files []file) int64 {
	t.Helper()
	nodes := []string{
		lab.Addresses(t, domain, nearFrankfurt)[0].String() + ":" + lab.HTTPPort(t),
		lab.Addresses(t, domain, nearLondon)[0].String() + ":" + lab.HTTPPort(t),
	}
	var hits atomic.Int64
	var wrong sync.Once
	var group errgroup.Group
	group.SetLimit(16)
	for i, f := range files {
		group.Go(func() error {
			resp, err := lab.Get(t.Context(), nodes[i%2], domain, (&url.URL{Path: "/" + f.name}).EscapedPath())
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			sum := sha256.New()
			if _, err := io.Copy(sum, resp.Body); err != nil {
				return err
			}
			if !bytes.Equal(sum.Sum(nil), f.sum[:]) {
				wrong.Do(func() { t.Errorf("%s: %s with another SHA-256 than the file", f.name, resp.Status) })
			}
			if resp.Header.Get("X-Cache") == "HIT" {
				hits.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return hits.Load()
}

// webRequests counts the web origin's requests by path.
func webRequests(t *testing.T, lab *labtest.Lab) map[string]int {
	t.Helper()
	count := map[string]int{}
	eachLine(t, lab.Origins[0].AccessLog, func(line []byte) {
		var record struct {
			Path string `json:"path"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("access log line %q: %v", line, err)
		}
		count[unescape(t, record.Path)]++
	})
	return count
}

// bucketRequests counts the S3 origin's GET requests by path within the bucket. A
// line of its log has "s3_GetObject KEY /BUCKET/KEY STATUS ...".
func bucketRequests(t *testing.T, lab *labtest.Lab) map[string]int {
	t.Helper()
	count := map[string]int{}
	eachLine(t, lab.Origins[1].AccessLog, func(line []byte) {
		_, request, found := strings.Cut(string(line), " s3_GetObject ")
		if !found {
			return
		}
		_, path, _ := strings.Cut(request, " /"+lab.Origins[1].Bucket)
		path, _, _ = strings.Cut(path, " ")
		count[unescape(t, path)]++
	})
	return count
}

func unescape(t *testing.T, path string) string {
	t.Helper()
	name, err := url.PathUnescape(path)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func eachLine(t *testing.T, name string, do func([]byte)) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		do(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
