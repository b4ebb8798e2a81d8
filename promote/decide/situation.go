package decide

// Situations in which a reign ends.
const (
	// PrimaryGone: the agent beside the primary saw its process end.
	PrimaryGone = "PrimaryGone"
	// PrimaryRestarted: another process answers in the primary's place; it stays closed until a new epoch, because
	// transactions that nobody acknowledged became visible when it recovered.
	PrimaryRestarted = "PrimaryRestarted"
	// PrimaryHung: the agent is well, the server answers nothing, and no acker hears it.
	PrimaryHung = "PrimaryHung"
	// PrimarySilent: the agent is unheard, no acker hears the server, and a direct probe fails.
	PrimarySilent = "PrimarySilent"
	// PrimaryClosed: the agent is unheard, and the server has said to an acker that it takes no writes: nobody is there to open
	// it, because it was started again, or closed, without its agent.
	PrimaryClosed = "PrimaryClosed"
	// PrimaryStuck: the server answers, but no commit gets through, and not because ackers are missing or somebody holds a lock.
	PrimaryStuck = "PrimaryStuck"
	// PrimaryCutOff: the server is well, its commits wait for acknowledgements, and its ackers, which can be reached, do not hear it.
	PrimaryCutOff = "PrimaryCutOff"
	// Switchover: somebody asked for it.
	Switchover = "Switchover"
	// SwitchoverUndone: the former primary did not close in time and keeps the reign.
	SwitchoverUndone = "SwitchoverUndone"
	// SwitchoverFailed: the former primary closed, and nobody could take over in time: the ackers are fenced.
	SwitchoverFailed = "SwitchoverFailed"
	// WinnerLost: the winner failed before it was established.
	WinnerLost = "WinnerLost"
	// Formation: the first primary of a database is chosen.
	Formation = "Formation"
)

// Steps on the way, as they stand in a database's history.
const (
	Elected = "Elected"
	// PreparationOver: a hand-over that was being prepared was given up; the primary goes on serving.
	PreparationOver = "PreparationOver"
	Marked          = "Marked"
	AckerAdded      = "AckerAdded"
	// AckerRetires: a member that leaves is to stop acknowledging; AckerSilent: it has; AckerRetired: it counts no more.
	AckerRetires = "AckerRetires"
	AckerSilent  = "AckerSilent"
	AckerRetired = "AckerRetired"
	// AcksChange: commits are to wait for another number of acknowledgements; AcksChanged: they do, and fences count on it.
	AcksChange  = "AcksChange"
	AcksChanged = "AcksChanged"
	// DurabilityDegraded: a primary without ackers goes on alone; DurabilityAsync: commits wait for nobody, by policy;
	// DurabilityRearms: commits wait again, and the reign is lossless once that is proved (AcksChanged).
	DurabilityDegraded = "DurabilityDegraded"
	DurabilityAsync    = "DurabilityAsync"
	DurabilityRearms   = "DurabilityRearms"
	// DataLossAccepted: an operator accepts that acknowledged writes may be lost.
	DataLossAccepted = "DataLossAccepted"
)

// Reasons for doing nothing. Each comes with the way out.
const (
	// MembersMissing: not every expected member is registered, heard and ready.
	MembersMissing = "MembersMissing"
	// SettingsUnsafe: a server has settings with which an acknowledged write could be lost.
	SettingsUnsafe = "SettingsUnsafe"
	// AckersMissing: not enough ackers can be fenced, or can acknowledge for the next primary.
	AckersMissing = "AckersMissing"
	// AckersChanging: a change of ackers waits for somebody.
	AckersChanging = "AckersChanging"
	// Divergent: members hold transactions that contradict each other.
	Divergent = "Divergent"
	// NoCandidate: nobody who may win holds everything.
	NoCandidate = "NoCandidate"
	// AgentLost: the agent beside the primary is unheard, but the server is alive.
	AgentLost = "AgentLost"
	// AckersLonely: commits wait because ackers are missing.
	AckersLonely = "AckersLonely"
	// PrimaryLocked: commits wait for a lock that a session holds, as a backup does: another server would help nobody.
	PrimaryLocked = "PrimaryLocked"
	// RunsAlone: commits wait for nobody, because ackers are missing and the policy is to go on.
	RunsAlone = "RunsAlone"
	// WritesAtRisk: whoever could win may lack what the primary acknowledged alone.
	WritesAtRisk = "WritesAtRisk"
	// LeaseRuns: a primary that nobody acknowledged may go on until its lease is over.
	LeaseRuns = "LeaseRuns"
	// NotDurable: a server could lose with the power what it has acknowledged or committed, or may have lost some.
	NotDurable = "NotDurable"
	// Paused: an operator paused the database.
	Paused = "Paused"
	// RegistryBehind: guards have promised more than the registry knows of: it was restored from something older.
	RegistryBehind = "RegistryBehind"
	// Unreadable: a position in a report could not be read.
	Unreadable = "Unreadable"
	// Unsupported: the policy asks for what this family of servers cannot do.
	Unsupported = "Unsupported"
)

// Why a replica is out of rotation.
const (
	// ReplicaUnheard: its agent or its server does not answer.
	ReplicaUnheard = "ReplicaUnheard"
	// ReplicaBroken: it does not follow the primary.
	ReplicaBroken = "ReplicaBroken"
	// ReplicaLagging: it follows, too far behind.
	ReplicaLagging = "ReplicaLagging"
	// ReplicaDiverged: it holds transactions that the primary lacks.
	ReplicaDiverged = "ReplicaDiverged"
)
