package store

// FirstSchema is that of files of version 1.
var FirstSchema = schema[0]

// Len is the number of things that are kept.
func (m *Memory) Len() int {
	return len(m.leases) + len(m.handles) + len(m.revoked) + len(m.tats) + len(m.slots) + len(m.budgets)
}
