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
package rejoin
