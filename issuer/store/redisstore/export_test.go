package redisstore

// UseAskersClock counts the rates by the time of each Ask, so that tests need not
// wait.
func (s *Store) UseAskersClock() { s.askersClock = true }
