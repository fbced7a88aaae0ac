package edge

import (
	"errors"
	"path/filepath"

	"nearcast/cdn"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/purge"
	"nearcast/edge/store/shadow"
	"nearcast/edge/store/tier"
)

// openStorage opens what the node keeps: the purges that it knows of, and objects in memory and on disk.
func (s *Server) openStorage(budget int64) error {
	disks := s.cfg.disks()
	s.stateDir = s.cfg.stateDir(disks)
	var err error
	if s.purges, err = purge.Open(purge.Config{Dir: s.stateDir, Log: s.log}); err != nil {
		return err
	}
	var below *disk.Store
	if len(disks) > 0 {
		below, err = disk.Open(disk.Config{Disks: disks, Now: s.now, Log: s.log, Alive: s.alive})
	}
	if err == nil {
		s.tiers, err = tier.New(tier.Config{RAM: objectRAM(budget), Disk: below, Alive: s.alive, Quiet: s.quiet})
	}
	if err != nil {
		if below != nil {
			err = errors.Join(err, below.Close())
		}
		return errors.Join(err, s.purges.Close())
	}
	s.shadows = shadow.New(shadow.Config{RAM: objectRAM(budget), Disk: below != nil, Live: s.tiers.Policy, Now: s.now})
	s.tiers.Observe(s.shadows, s.shadows.Largest)
	s.store = purge.Over(s.tiers, s.purges)
	return nil
}

// objectRAM is the part of the RAM that stored objects may fill.
func objectRAM(budget int64) int64 { return budget - budget/fillShare }

// disks are those of the configuration, each with a directory.
func (c *Config) disks() (disks []disk.Disk) {
	for _, d := range c.Disks {
		if d.Path == "" {
			d.Path = filepath.Join(c.Dir, "cache")
		}
		disks = append(disks, disk.Disk{Path: d.Path, Size: int64(d.Size)})
	}
	return disks
}

// stateDir is where the purges are remembered: what is on disk is of no use without them.
func (c *Config) stateDir(disks []disk.Disk) string {
	if c.Dir == "" && len(disks) > 0 {
		return filepath.Join(disks[0].Path, "state")
	}
	return c.Dir
}

// largestBody is how large a content may be that cannot be stored in slices. It is held in memory on its way.
func (c *Config) largestBody(budget int64) int64 {
	if len(c.Disks) > 0 {
		return max(budget/8, diskBody)
	}
	return budget / 8
}

// diskBody is the largest content that cannot be stored in slices and goes to a disk all the same, whatever the RAM.
const diskBody = 8 << 20

// checkDisks finds out what is wrong with the disks of a configuration.
func (c *Config) checkDisks() error {
	for _, d := range c.Disks {
		if d.Path == "" && c.Dir == "" {
			return cdn.Errorf(cdn.Invalid, "", "disk %q: a size alone means a directory in the node's state directory, and there is none; write PATH:%s", d, d.Size)
		}
	}
	return nil
}
