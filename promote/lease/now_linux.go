package lease

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Now is the time since the machine was started, by a clock that nobody sets and that counts while the machine is
// suspended. Go's own monotonic clock does not.
func Now() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
