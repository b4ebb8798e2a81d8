// Package registry holds the words of the cluster and one immutable version of its replicated state.
//
// Everything anyone sees is a function of *State: DNS answers, hosts files, the API and what a guard does to its mysqld.
// A State changes only by a Command, which carries every value it needs: Apply reads no clock, no configuration and no
// random source, so every server that applies the same commands holds the same State, byte for byte (package codec).
//
// # The life of a database
//
//		forming --Revoke--> fencing --Elect--> promoting --Establish--> serving --Revoke--> fencing ...
//		                                                                   \------Revoke(To)--> closing --Elect--> promoting
//		                                                                                          \--Escalate--> fencing
//		promoting --Revoke--> fencing          (the winner itself failed; what Elect settled is kept)
//
//	  - serving(e): Primary acknowledges writes once K of Ackers have them. The name is published.
//	    With Handover set a hand-over is prepared: some ackers follow the wanted winner already.
//	  - closing(e+1): a planned hand-over: the former primary closes itself; its ackers go on receiving until it has.
//	  - fencing(e+1): the ackers of the last established reign durably stop listening to the former primary.
//	  - promoting(e+1): Primary (the winner) reaches Base and has its epoch marker acknowledged by NextK of NextAckers.
//	    With CatchUp set it gets what it lacks of Base from another member first.
//
// A command that does not fit the phase and epoch it was made for is refused with ErrStale and changes nothing: that is
// how a leader which paused and came back can do no harm (G4, G5).
//
// # What the state machine itself enforces
//
// Apply checks the arithmetic of exclusion again, whoever computed it: Elect needs proof, either fenced ackers >= |A|-K+1,
// or the former primary closed at a known position, or a base that an earlier Elect of the same interregnum has settled
// (G1, G2). Epochs only grow (G6).
package registry
