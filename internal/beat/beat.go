// Package beat lets the tasks of a process that look again and again do so at the same moments. A machine at rest pays for
// each moment at which it wakes, and next to nothing for one more task at that moment.
package beat

import "time"

// Until is how long it takes from now to the next moment for tasks that look once in every: more than 0, and at most every.
// The moments of a span are among those of each of its divisors. They are multiples of wall time, so that a step of the
// clock costs one look that comes early.
func Until(every time.Duration) time.Duration {
	return every - time.Duration(time.Now().UnixNano()%int64(every))
}
