package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/ulikunitz/xz"
)

// request is one of a trace.
type request struct {
	id   uint64
	size int64 // octets; 1 in traces without sizes
}

// maxSize is beyond any object: a size above it says that the file is something else than was thought.
const maxSize = 1 << 44

// formats are the readers by what --format calls them.
func formats() map[string]func(r *bufio.Reader) ([]request, error) {
	return map[string]func(r *bufio.Reader) ([]request, error){"text": readText, "oracle": readOracle, "int32": readInt32}
}

// readTrace reads a whole trace, compressed or not as the end of its name says.
func readTrace(name, format string) (trace []request, err error) {
	read, ok := formats()[format]
	if !ok {
		return nil, fmt.Errorf("format %q is not known: it is text, oracle, int32 or tragen", format)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the trace: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	r, err := unpack(f, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	trace, err = read(bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("%s: not a trace of the format %s: %w", name, format, err)
	}
	if len(trace) == 0 {
		return nil, fmt.Errorf("%s: there is no request in it", name)
	}
	return trace, nil
}

func unpack(f io.Reader, name string) (io.Reader, error) {
	switch {
	case strings.HasSuffix(name, ".xz"):
		r, err := xz.NewReader(bufio.NewReader(f))
		if err != nil {
			return nil, fmt.Errorf("not compressed with xz, as its name says: %w", err)
		}
		return r, nil
	case strings.HasSuffix(name, ".gz"):
		r, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("not compressed with gzip, as its name says: %w", err)
		}
		return r, nil
	}
	return f, nil
}

// readText reads lines of "time id size", with anything behind.
func readText(r *bufio.Reader) (trace []request, err error) {
	lines := bufio.NewScanner(r)
	n := 1
	for ; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("line %d has %d fields: time, id and size are needed", n, len(fields))
		}
		id, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: the id %q is not a number of 64 bits", n, fields[1])
		}
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || size < 0 || size > maxSize {
			return nil, fmt.Errorf("line %d: %q is not a size of 0 to %d octets", n, fields[2], int64(maxSize))
		}
		trace = append(trace, request{id, size})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n, err)
	}
	return trace, nil
}

// oracleRecord is the size of a record of oracleGeneral: time uint32, id uint64, size uint32, next access int64, little-endian.
const oracleRecord = 24

func readOracle(r *bufio.Reader) (trace []request, err error) {
	err = records(r, oracleRecord, func(n int, b []byte) error {
		next := int64(binary.LittleEndian.Uint64(b[16:]))
		if next < -2 || next != math.MaxInt64 && next > 1<<48 {
			return fmt.Errorf("record %d: the next access %d is absurd", n, next)
		}
		trace = append(trace, request{binary.LittleEndian.Uint64(b[4:]), int64(binary.LittleEndian.Uint32(b[12:]))})
		return nil
	})
	return trace, err
}

// readInt32 reads big-endian ids of 32 bits and nothing else.
func readInt32(r *bufio.Reader) (trace []request, err error) {
	err = records(r, 4, func(_ int, b []byte) error {
		trace = append(trace, request{uint64(binary.BigEndian.Uint32(b)), 1})
		return nil
	})
	return trace, err
}

// records calls take for each record of so many octets; n counts from 1.
func records(r io.Reader, octets int, take func(n int, b []byte) error) error {
	b := make([]byte, octets)
	for n := 1; ; n++ {
		switch got, err := io.ReadFull(r, b); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("record %d, at octet %d, is cut off: %d of %d octets", n, (n-1)*octets, got, octets)
		case err != nil:
			return fmt.Errorf("at record %d: %w", n, err)
		}
		if err := take(n, b); err != nil {
			return err
		}
	}
}
