package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"nearcast/edge/store/disk/record"
)

// join makes one store of the disks that work. A disk that was away while the others went on begins empty: what has been
// replaced or removed meanwhile would come back with it. So does one of another store.
func (s *Store) join() error {
	s.session.Lock()
	defer s.session.Unlock()
	var newest *volume
	for _, v := range s.volumes {
		if !v.dead() && !v.foreign && (newest == nil || v.super.Session > newest.super.Session) {
			newest = v
		}
	}
	top := record.Super{Seed: randomIdentity()}
	if newest != nil {
		top = newest.super
	}
	s.seed = top.Seed
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		top.Boot = max(top.Boot, v.super.Boot)
		if !v.foreign && (v.super.Seed != top.Seed || v.super.Session != top.Session) {
			v.log.Error("the disk was away, or in another store, while the others went on: it begins empty")
			v.foreign = true
		}
		if v.foreign {
			if err := v.wipe(top.Seed); err != nil {
				v.fail(fmt.Errorf("emptying it: %w", err))
			}
		}
	}
	for _, v := range s.volumes {
		v.lot, v.next = mix(binary.LittleEndian.Uint64(v.super.Disk[:])), (top.Boot+1)<<32|1
	}
	s.seq.Store((top.Boot + 1) << 40)
	s.agreeLocked(top.Boot + 1)
	if !slices.ContainsFunc(s.volumes, func(v *volume) bool { return !v.dead() }) {
		err := errors.New("disk: no disk can be used")
		for _, v := range s.volumes {
			err = fmt.Errorf("%w; %s: %w", err, v.path, *v.failure.Load())
		}
		return err
	}
	return nil
}

// agreeLocked writes to each disk that works which disks are together. Store.session must be held.
func (s *Store) agreeLocked(boot uint64) {
	for again := true; again; { // until it has gone well on all that are left
		again = false
		set, session := s.setLocked()
		for _, v := range s.volumes {
			if v.dead() || v.super.Boot == boot && v.super.Session == session && v.super.Set == set {
				continue
			}
			v.super.Boot, v.super.Session, v.super.Set = boot, session, set
			if err := v.writeSuper(); err != nil {
				v.failure.CompareAndSwap(nil, &err)
				v.log.Error("the disk is taken out of service: its superblock cannot be written", "error", err)
				again = true
			}
		}
	}
}

// setLocked returns a hash of the disks that work and the number of their session: a new one if the set has changed.
func (s *Store) setLocked() (set, session uint64) {
	changed := false
	for _, v := range s.volumes {
		if !v.dead() {
			set += mix(binary.LittleEndian.Uint64(v.super.Disk[:]) | 1)
			session = max(session, v.super.Session)
		}
	}
	for _, v := range s.volumes {
		changed = changed || !v.dead() && (v.super.Set != set || v.super.Session != session)
	}
	if changed {
		session++
	}
	return set, session
}

// regroup has the disks that are left note that one is out. It may be called with any lock held.
func (s *Store) regroup() {
	if s.sick != nil {
		poke(s.sick)
	}
}

// regrouping does so in the background.
func (s *Store) regrouping() {
	for {
		select {
		case <-s.done:
			return
		case <-s.sick:
			s.session.Lock()
			for _, v := range s.volumes {
				if !v.dead() {
					s.agreeLocked(v.super.Boot)
					break
				}
			}
			s.session.Unlock()
		}
	}
}
