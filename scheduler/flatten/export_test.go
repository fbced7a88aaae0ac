package flatten

// Usable reports whether the file could be used.
func (s *System) Usable() bool {
	_, err := s.open()
	return err == nil
}
