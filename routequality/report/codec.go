package report

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"nearcast/cdn"
)

// compressFrom is how long a report is, in octets, that is worth compressing.
const compressFrom = 4 << 10

// gzipMagic begins what is compressed; JSON never begins so.
const gzipMagic = "\x1f\x8b"

// Encode returns the report as JSON, compressed (gzip) if it is longer than 4 kB; see [Encoding].
// It fails if the report is longer than [MaxBody].
func (p *POP) Encode() ([]byte, error) { return encode(p, MaxBody) }

// Encoding returns the value of Content-Encoding for what [POP.Encode] returned: "gzip", or empty.
func Encoding(body []byte) string {
	if bytes.HasPrefix(body, []byte(gzipMagic)) {
		return "gzip"
	}
	return ""
}

func encode(v any, most int) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a report: %w", err)
	}
	if len(text) > most {
		return nil, cdn.Errorf(cdn.Invalid, "", "a report has %d octets, at most %d are allowed", len(text), most)
	}
	if len(text) < compressFrom {
		return text, nil
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("compressing a report: %w", err)
	}
	if _, err := z.Write(text); err != nil {
		return nil, fmt.Errorf("compressing a report: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compressing a report: %w", err)
	}
	return b.Bytes(), nil
}

// Decode reads a POP's report, compressed or not: that is seen by its first octets, whatever the header says. Parts that are absurd are left
// out and counted. Fields that it does not know are a newer sender's and are ignored.
// An error, of kind [cdn.Invalid], means that the report is malformed, too large, or from the future as a whole.
func Decode(r io.Reader, now time.Time) (*POP, Refused, error) {
	text, err := read(r, MaxBody)
	if err != nil {
		return nil, Refused{}, err
	}
	return decodePOP(text, now)
}

// read returns what was encoded, decompressed.
func read(r io.Reader, most int) ([]byte, error) {
	counted := &io.LimitedReader{R: r, N: int64(most) + 1}
	start := bufio.NewReader(counted)
	var text io.Reader = start
	if magic, _ := start.Peek(len(gzipMagic)); string(magic) == gzipMagic {
		z, err := gzip.NewReader(start)
		if err != nil {
			return nil, cdn.Errorf(cdn.Invalid, "", "decompressing a report: %w", err)
		}
		text = z
	}
	out, err := io.ReadAll(io.LimitReader(text, int64(most)+1))
	switch {
	case len(out) > most || counted.N == 0:
		return nil, cdn.Errorf(cdn.Invalid, "", "a report has more than %d octets", most)
	case err != nil:
		return nil, cdn.Errorf(cdn.Invalid, "", "reading a report: %w", err)
	}
	return out, nil
}

// items decodes those of a JSON array one by one, and leaves those out that do not decode or do not pass. An error means that it is no
// array, or has more items than most: that many are never held in memory.
func items[T any](text json.RawMessage, where string, most int, refused *Refused, check func(i int, item *T) error) ([]T, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%s: it is no array", where)
	}
	var all []T
	before := *refused // if it is refused as a whole its items do not count
	for i := 0; d.More(); i++ {
		if i == most {
			*refused = before
			return nil, fmt.Errorf("%s: it has more than %d items", where, most)
		}
		var item T
		err := d.Decode(&item) // the text was valid, so that the next item begins after this one whatever the error
		if err == nil {
			err = check(i, &item)
		}
		if err != nil {
			refused.add(fmt.Errorf("%s[%d]: %w", where, i, err))
			continue
		}
		all = append(all, item)
	}
	return all, nil
}
