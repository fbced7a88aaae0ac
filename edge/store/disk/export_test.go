package disk

// Flush writes what is buffered, as happens by itself after a while.
func (s *Store) Flush() {
	for _, v := range s.volumes {
		if !v.dead() {
			_ = v.syncLanes()
		}
	}
}
