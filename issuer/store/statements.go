package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The statements of SQLite.
const (
	begin      = `BEGIN IMMEDIATE` // so that no other process decides meanwhile
	commit     = `COMMIT`
	rollback   = `ROLLBACK`
	loadLease  = `SELECT version, caller, profile, overrides, ends, expire, renew_after, early, released FROM leases WHERE key = ?`
	keepLease  = `REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	dropLease  = `DELETE FROM leases WHERE key = ?`
	listLeases = `SELECT key, version, caller, profile, overrides, ends, expire, renew_after, early, released FROM leases WHERE caller = ? ORDER BY ends, key`
	isRevoked  = `SELECT count(*) FROM revocations WHERE caller = ?`
	revoke     = `INSERT OR IGNORE INTO revocations VALUES (?)`
	unrevoke   = `DELETE FROM revocations WHERE caller = ?`
	allRevoked = `SELECT caller FROM revocations WHERE caller > ? ORDER BY caller LIMIT ?`
	keepHandle = `REPLACE INTO handles VALUES (?, ?, ?, ?)`
	readKnown  = `SELECT EXISTS (SELECT 1 FROM revocations WHERE caller IN (?1, ?7)), (SELECT version FROM leases WHERE key = ?2),
		(SELECT lease FROM handles WHERE key = ?3), coalesce((SELECT spent FROM budgets WHERE key = ?4), 0),
		coalesce((SELECT taken FROM slot_counts WHERE key = ?5), 0), (SELECT count(*) FROM slots WHERE key = ?5 AND ends <= ?6)`
	readRate   = `SELECT ends FROM rates WHERE key = ?`
	keepRate   = `REPLACE INTO rates VALUES (?, ?)`
	slotFrees  = `SELECT ends FROM slots WHERE key = ? AND ends > ? ORDER BY ends LIMIT 1 OFFSET ?`
	takeSlot   = `INSERT INTO slots VALUES (?, ?, ?, ?)`
	dropSlots  = `DELETE FROM slots WHERE key = ? AND ends <= ?`
	freeSlot   = `DELETE FROM slots WHERE key = ? AND ends = ? AND lease = ? AND version = ?`
	keepBudget = `REPLACE INTO budgets VALUES (?, ?, ?)`
	giveBudget = `UPDATE budgets SET spent = max(spent - ?, 0) WHERE key = ?`

	dropOldHandles = `DELETE FROM handles WHERE lease = ?1 AND version <= (SELECT version FROM handles WHERE lease = ?1 ORDER BY version DESC LIMIT 1 OFFSET ?2)`

	drawHandleKey = `INSERT OR IGNORE INTO handle_key VALUES (1, ?)`
	readHandleKey = `SELECT key FROM handle_key`
)

// sweeps are the tables by whose keys things are dropped, how that is done, and for
// how long things are kept when they are over.
var sweeps = []struct {
	table, drop string
	keep        time.Duration
}{{"leases", sweepDrop, KeepLease}, {"handles", sweepDrop, 0}, {"rates", sweepDrop, 0}, {"slot_counts", sweepSlots, 0}, {"budgets", sweepDrop, 0}}

// Sweeping looks at this many rows of one table at a time, in the order of their
// keys, so that nobody waits for it and no write pays for an index.
const (
	sweepRows  = 256
	sweepPause = 50 * time.Millisecond

	sweepLast  = `SELECT max(key) FROM (SELECT key FROM %s WHERE key > ? ORDER BY key LIMIT ?)`
	sweepDrop  = `DELETE FROM %s WHERE key > ? AND key <= ? AND ends <= ?`
	sweepSlots = `DELETE FROM slots WHERE key IN (SELECT key FROM %s WHERE key > ? AND key <= ?) AND ends <= ?`
)

// statements are those of the one connection. They belong to its goroutine.
type statements struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt

	now   time.Time // of the last Ask
	swept time.Time
	table int // of sweeps, that is next
	after any // the last key of it that was looked at; nil before the first
}

func prepare(ctx context.Context, conn *sql.Conn) (*statements, error) {
	q := &statements{conn: conn, prepared: map[string]*sql.Stmt{}}
	texts := []string{begin, commit, rollback, loadLease, keepLease, dropLease, listLeases, isRevoked, revoke, unrevoke, allRevoked,
		readKnown, keepHandle, readRate, keepRate, slotFrees, takeSlot, dropSlots, freeSlot, keepBudget, giveBudget, dropOldHandles, drawHandleKey, readHandleKey}
	for _, s := range sweeps {
		texts = append(texts, fmt.Sprintf(sweepLast, s.table), fmt.Sprintf(s.drop, s.table))
	}
	for _, text := range texts {
		stmt, err := conn.PrepareContext(ctx, text)
		if err != nil {
			return nil, errors.Join(err, q.close())
		}
		q.prepared[text] = stmt
	}
	return q, nil
}

func (q *statements) close() (err error) {
	for _, stmt := range q.prepared {
		err = errors.Join(err, stmt.Close())
	}
	return err
}

func (q *statements) exec(text string, args ...any) error {
	_, err := q.prepared[text].Exec(args...)
	return err
}

func (q *statements) one(text string, args ...any) *sql.Row {
	return q.prepared[text].QueryRow(args...)
}

// transaction does a batch, all of it or nothing, but for what nobody waits for any
// more. Who goes later is not looked at: the others wait for the same transaction.
func (q *statements) transaction(batch []work) error {
	if err := q.begin(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err := q.all(batch)
	if err == nil {
		err = q.exec(commit)
	}
	if err != nil {
		_ = q.exec(rollback) // there may be none any more
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// begin waits for other processes, but not for long.
func (q *statements) begin() error {
	for begun := time.Now(); ; time.Sleep(rand.N(2 * lockPause)) {
		err := q.exec(begin)
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Since(begun) > lockPatience {
			return err
		}
	}
}

func (q *statements) all(batch []work) error {
	for n := range batch {
		w := &batch[n]
		if err := w.ctx.Err(); err != nil {
			w.skipped = fmt.Errorf("store: %w", err)
			continue
		}
		if err := w.do(q); err != nil {
			return err
		}
	}
	if time.Since(q.swept) < sweepPause {
		return nil
	}
	q.swept = time.Now()
	return q.sweep()
}

// grant makes the decision. Its last error is the database's.
func (q *statements) grant(a Ask) (Standing, error, error) {
	a.Now = Precise(a.Now)
	q.now = a.Now
	k, err := q.known(a)
	if err != nil {
		return Standing{}, nil, err
	}
	s, c, refused := a.decide(k)
	if refused != nil {
		return Standing{}, refused, nil
	}
	err = q.keep(s.Lease)
	if err == nil && a.Handle != (Key{}) {
		err = q.show(a.Handle, s.Lease)
	}
	for n, r := range a.Rates {
		if err == nil {
			err = q.exec(keepRate, r.Key, micros(c.tats[n]))
		}
	}
	if err == nil && k.expired > 0 {
		err = q.exec(dropSlots, a.Slots.Key, micros(a.Now))
	}
	if err == nil {
		err = q.exec(takeSlot, a.Slots.Key, micros(s.Lease.Expire), a.Lease.Key[:], s.Lease.Version)
	}
	if err == nil {
		err = q.exec(keepBudget, a.Budget.Key, int64(c.spent), micros(a.Budget.Ends))
	}
	return s, nil, err
}

// show keeps a handle as the newest of a lease.
func (q *statements) show(handle Key, l Lease) error {
	if err := q.exec(keepHandle, handle[:], l.Key[:], micros(l.End.Add(KeepHandle)), l.Version); err != nil {
		return err
	}
	return q.exec(dropOldHandles, l.Key[:], MaxHandles)
}

// known reads what a decision needs.
func (q *statements) known(a Ask) (k known, err error) {
	var handle []byte
	err = q.one(readKnown, a.Lease.Caller, a.Lease.Key[:], a.Handle[:], a.Budget.Key, a.Slots.Key, micros(a.Now), a.Server).
		Scan(&k.revoked, &k.lease, &handle, (*int64)(&k.spent), &k.taken, &k.expired)
	if err != nil {
		return k, err
	}
	if handle != nil {
		k.handle = (*Key)(handle)
	}
	for _, r := range a.Rates {
		var tat int64
		there, err := found(q.one(readRate, r.Key).Scan(&tat))
		if err != nil {
			return k, err
		}
		k.tats = append(k.tats, time.Time{})
		if there {
			k.tats[len(k.tats)-1] = fromMicros(tat)
		}
	}
	k.taken -= k.expired
	if over := k.taken - a.Slots.max(); over >= 0 {
		var frees int64
		if err := q.one(slotFrees, a.Slots.Key, micros(a.Now), over).Scan(&frees); err != nil {
			return k, err
		}
		k.frees = fromMicros(frees)
	}
	return k, nil
}

// found tells no row from what went wrong.
func found(err error) (bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (q *statements) undo(a Ask) error {
	granted := a.Granted()
	freed, err := q.prepared[freeSlot].Exec(a.Slots.Key, micros(granted.Expire), granted.Key[:], granted.Version)
	if err != nil {
		return err
	}
	if n, err := freed.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if err := q.exec(giveBudget, int64(a.Budget.Cost), a.Budget.Key); err != nil {
		return err
	}
	held, err := q.load(granted.Key)
	switch {
	case err != nil || held == nil || held.Version != granted.Version:
		return err
	case a.Was == nil:
		return q.exec(dropLease, granted.Key[:])
	default:
		return q.keep(a.Undone())
	}
}

// load gives nil if there is no such lease.
func (q *statements) load(k Key) (*Lease, error) {
	l := Lease{Key: k}
	there, err := found(scan(q.one(loadLease, k[:]), &l))
	if !there {
		return nil, err
	}
	return &l, nil
}

// scan reads a lease's columns, after those of first.
func scan(row interface{ Scan(...any) error }, l *Lease, first ...any) error {
	var end, expire, renewAfter int64
	err := row.Scan(append(first, &l.Version, &l.Caller, &l.Profile, &l.Overrides, &end, &expire, &renewAfter, &l.Early, &l.Released)...)
	l.End, l.Expire, l.RenewAfter = fromMicros(end), fromMicros(expire), fromMicros(renewAfter)
	return err
}

func (q *statements) keep(l Lease) error {
	return q.exec(keepLease, l.Key[:], l.Version, l.Caller, l.Profile, l.Overrides, micros(l.End), micros(l.Expire), micros(l.RenewAfter), l.Early, l.Released)
}

func (q *statements) leases(caller string) (list []Lease, err error) {
	rows, err := q.prepared[listLeases].Query(caller)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l Lease
		var key []byte
		if err := scan(rows, &l, &key); err != nil {
			return nil, err
		}
		l.Key = Key(key)
		list = append(list, l)
	}
	return list, rows.Err()
}

func (q *statements) revocations(after string, most int) (list []string, err error) {
	rows, err := q.prepared[allRevoked].Query(after, most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var caller string
		if err := rows.Scan(&caller); err != nil {
			return nil, err
		}
		list = append(list, caller)
	}
	return list, rows.Err()
}

// sweep drops what is over, in one piece of one table.
func (q *statements) sweep() error {
	s := sweeps[q.table]
	if q.after == nil {
		q.after = first[s.table]
	}
	var last any
	if err := q.one(fmt.Sprintf(sweepLast, s.table), q.after, sweepRows).Scan(&last); err != nil {
		return err
	}
	if last == nil { // that was all of it
		q.table, q.after = (q.table+1)%len(sweeps), nil
		return nil
	}
	from := q.after
	q.after = last
	return q.exec(fmt.Sprintf(s.drop, s.table), from, last, micros(q.now.Add(-s.keep)))
}

// first is before every key of a table: keys are text or blobs, and not empty.
var first = map[string]any{"leases": []byte{}, "handles": []byte{}, "rates": "", "slot_counts": "", "budgets": ""}
