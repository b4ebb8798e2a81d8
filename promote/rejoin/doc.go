// Package rejoin brings back a server that holds transactions which the present primary lacks.
//
// It is usually a former primary: what it wrote last, nobody had acknowledged when it died. Nobody was told that these
// transactions are safe, and MySQL would follow with them in silence and be different for ever. So the guard keeps such a
// server out (promote.ErrDiverged), and here it is brought back in three steps, each of which is looked for and not
// remembered:
//
//	archive   the transactions are kept as SQL, durably (package archive). Before that nothing is changed, ever.
//	rewind    a server that is dead takes back what waited (package offline); baton starts it
//	or clone  a server that runs replaces itself by a copy of another (MySQL)
//	or wait   a person decides; the reason and the way out are reported
//	follow    is the guard's again: it compares anew, and lets it acknowledge when it holds what the primary had when it
//	          connected
//
// # Which of them
//
// A rewind is possible between the crash and the next start only: a start commits what waited. So it is for databases whose
// servers baton starts (Config.Start), and whose init system does not start them by itself. Everything else is a clone, or a
// wait. The policy names the first choice: rewind, which falls back to clone, which falls back to wait; an operator may
// name another one for the present epoch. The default, rewind, is safe: what it takes away is archived and on no
// primary, and it does nothing where nobody has configured how to start the server.
//
// # What must not be broken
//
//   - Only while another primary reigns that lacks the transactions, asked just before they are archived. Whoever reigns was
//     elected with everything that was ever acknowledged (G2), so what it lacks was not.
//   - Only a server that does not acknowledge for the present primary: one that does may be the only holder of something.
//   - A server that was stopped in good order is not started: somebody wanted it so. Of those that crashed, a former primary is,
//     and a primary that nobody can replace: no init system may do it any more where baton does, and what it holds may be
//     nowhere else, so that one is started as it is.
//   - One step at a time, written to disk before it begins (journal). An agent that was killed goes on with it. While a step is
//     under way that changes the server's data, its guard does nothing to it.
//   - What was rewound and still holds the transactions had committed them: it is not rewound again, but cloned or kept out.
//   - The donor of a clone is a replica where there is one. MySQL serves one copy at a time and refuses a second.
//   - A server on which a copy began is empty until it is known that the copy is complete, or that it removed nothing. Neither its
//     GTIDs nor its answer to CLONE tell.
//
// # What a copy leaves behind
//
// MySQL removes the users' schemas and the binary logs before it copies. What a server is and says afterwards was measured on
// MySQL 9.7.4; status is performance_schema.clone_status, progress clone_progress:
//
//	                                     rows  gtid_executed  status                     progress
//	refused, no BACKUP_ADMIN (3862)      all   as before      Failed                     empty, also after an earlier copy
//	donor killed, and started again      none  empty          Failed (3862)              DROP DATA Completed, one Failed
//	  the same, after a restart          none  empty          Failed, PID 0              the same
//	donor killed, and away (28 s seen)   none  empty          In Progress                a stage In Progress
//	CLONE killed (1317)                  none  empty          Failed                     DROP DATA Completed, one Failed
//	killed in a later stage, restarted   none  empty          In Progress, PID 0, 1317   DROP DATA Completed, one Failed
//	killed in DROP DATA, restarted       none  as before      empty                      empty
//	  the same, of a second copy         none  as before      In Progress, PID 0, 1317   DROP DATA Failed
//	complete, restarted                  all   the donor's    Completed, PID 0           all Completed
//
// So the server's error says nothing of what is left: only progress says that nothing was removed, and only in the process
// that refused. A server that was killed may have every GTID and no row, and know of no copy: what is not known to be complete is
// not. "In Progress" alone does not say that a copy is under way; who makes it (PID) does. server_uuid stays through all of it.
// With performance_schema = OFF nothing of this is there, and a copy is not begun.
//
// So a copy that was not completed leaves the stage Emptied in the journal. The guard stays away, the report says so
// (health.Returning.Replaced), and package decide takes the server for nothing: not fenced, no acker, no winner, also not when an
// operator accepts a loss. From there lead a complete copy, from one donor after the other with a pause, and another server_uuid.
//
// While nobody reigns a copy that is under way, or has failed, goes on blocking its own server, whose rows are gone; one that has
// removed nothing gives it back to the guard.
package rejoin
