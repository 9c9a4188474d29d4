package redistest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/scripts/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// say sends one command as a person types it and returns the answer's first line.
func say(t *testing.T, s *redistest.Server, command string) string {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial(u.Scheme, u.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", command)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestServerKeepsWhatItAnswered(t *testing.T) {
	s := redistest.Start(t)
	for i, end := range []func(){s.Kill, s.Stop, s.Kill} {
		if got := say(t, s, "INCR n"); got != fmt.Sprintf(":%d\r\n", i+1) {
			t.Errorf("it counts %q after %d restarts", got, i)
		}
		end()
		s.Restart()
	}
}

func TestServerTakesDirectives(t *testing.T) {
	s := redistest.Start(t, "appendonly no")
	say(t, s, "INCR n")
	s.Kill()
	s.Restart()
	if got := say(t, s, "INCR n"); got != ":1\r\n" {
		t.Errorf("without a log it counts %q after a restart", got)
	}
}
