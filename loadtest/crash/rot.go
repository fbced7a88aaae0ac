package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"nearcast/loadtest/rig"
)

// playRot damages what is on the disk: of a running edge single bits, of a stopped one anything.
func playRot(ctx context.Context, s *stage) error {
	n := s.newNode(s.dir, smallRAM, "2GiB")
	defer n.kill()
	found := 0.0
	for round := range s.out.Rounds {
		if err := n.start(ctx); err != nil {
			return err
		}
		got, err := s.rotAlive(ctx, n, uint64(round))
		found += got
		if err != nil {
			return err
		}
		if round%2 == 0 {
			n.kill()
		} else {
			n.Stop()
		}
		if err := s.rotStopped(n, round); errors.Is(err, errIntact) {
			s.out.note("round %d: nothing was left to be damaged", round+1)
		} else if err != nil {
			return err
		}
		if err := n.start(ctx); err != nil {
			return err
		}
		s.count(ctx, n, time.Now(), 200)
		c := gather(ctx, s.judge, n.Plain, s.o.connections, uint64(round))
		err = rig.Pause(ctx, s.o.spell)
		c.dismiss()
		n.lives("with damaged files")
		found += n.metric(ctx, metricDamaged)
		n.Stop()
		if err != nil {
			return err
		}
	}
	s.out.note("%g damaged records found", found)
	if found == 0 {
		s.out.fault("%s has not risen", metricDamaged)
	}
	return nil
}

// rotStopped damages the files of a stopped edge: segments everywhere, and now and then whatever file there is.
func (s *stage) rotStopped(n *node, round int) error {
	for range 100 {
		if err := damage(n.paths()[0], anyDamage); err != nil {
			return err
		}
	}
	if round%4 != 3 {
		return nil
	}
	files := filesBelow(n.paths()[0])
	_, err := damageFile(files[rand.IntN(len(files))], 0, anyDamage)
	return err
}

// rotAlive flips bits while nobody asks, and lets visitors at what is left. It returns how many damages were found.
func (s *stage) rotAlive(ctx context.Context, n *node, seed uint64) (found float64, err error) {
	c := gather(ctx, s.judge, n.Plain, s.o.connections, seed)
	defer c.dismiss()
	for range 3 {
		if err := rig.Pause(ctx, s.o.spell); err != nil {
			return 0, err
		}
		err := c.pause(func() error {
			for range 300 {
				if err := damage(n.paths()[0], flipBit); err != nil && !errors.Is(err, errIntact) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	err = rig.Pause(ctx, s.o.spell)
	n.lives("with flipped bits")
	return n.metric(ctx, metricDamaged), err
}

// A harm does something to a block of a file, or to the file. chance is its own.
type harm func(f *os.File, block []byte, at int64) error

// errIntact says that there is nothing to be damaged.
var errIntact = errors.New("there are only zeros to be damaged")

// damage does harm to a block, which is not all zeros, of the files below dir, both by chance.
func damage(dir string, do harm) error {
	files := filesBelow(dir)
	var sizes []int64
	total := int64(0)
	for _, path := range files {
		size := int64(0)
		if info, err := os.Stat(path); err == nil { // else it was given up meanwhile
			size = info.Size()
		}
		sizes = append(sizes, size)
		total += size
	}
	if total == 0 {
		return errIntact
	}
	for range 20_000 {
		at, i := rand.Int64N(total), 0
		for at >= sizes[i] {
			at, i = at-sizes[i], i+1
		}
		done, err := damageFile(files[i], at/sector*sector, do)
		if done || err != nil {
			return err
		}
	}
	return errIntact
}

// filesBelow returns all regular files in directories.
func filesBelow(dirs ...string) []string {
	var files []string
	for _, dir := range dirs {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // what cannot be read is not there
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return nil
		})
	}
	return files
}

const sector = 4096

func damageFile(path string, at int64, do harm) (done bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // given up meanwhile
	}
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // its errors are those of the writes
	block := make([]byte, sector)
	n, err := f.ReadAt(block, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	block = block[:n]
	for _, b := range block {
		if b != 0 {
			return true, do(f, block, at)
		}
	}
	return false, nil
}

func flipBit(f *os.File, block []byte, at int64) error {
	i := rand.IntN(len(block))
	_, err := f.WriteAt([]byte{block[i] ^ 1<<rand.IntN(8)}, at+int64(i))
	return err
}

// anyDamage flips a bit, zeroes a sector, writes it elsewhere, cuts the file short, or removes it; the last two seldom.
func anyDamage(f *os.File, block []byte, at int64) error {
	switch n := rand.IntN(200); {
	case n == 0:
		return f.Truncate(at + int64(rand.IntN(len(block))))
	case n == 1:
		return os.Remove(f.Name())
	case n < 50:
		_, err := f.WriteAt(make([]byte, 512), at)
		return err
	case n < 80:
		_, err := f.WriteAt(make([]byte, len(block)), at)
		return err
	case n < 100:
		_, err := f.WriteAt(block, max(0, at+sector*int64(rand.IntN(64)-32)))
		return err
	}
	return flipBit(f, block, at)
}
