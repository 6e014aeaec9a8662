package eth

import "fmt"

// The versions that this package speaks.
const (
	MinVersion = 68
	MaxVersion = 72
)

// Message codes. https://github.com/ethereum/devp2p/blob/master/caps/eth.md#protocol-messages
const (
	StatusMsg                     = 0x00
	NewBlockHashesMsg             = 0x01
	TransactionsMsg               = 0x02
	GetBlockHeadersMsg            = 0x03
	BlockHeadersMsg               = 0x04
	GetBlockBodiesMsg             = 0x05
	BlockBodiesMsg                = 0x06
	NewBlockMsg                   = 0x07
	NewPooledTransactionHashesMsg = 0x08
	GetPooledTransactionsMsg      = 0x09
	PooledTransactionsMsg         = 0x0a
	GetReceiptsMsg                = 0x0f
	ReceiptsMsg                   = 0x10
	BlockRangeUpdateMsg           = 0x11 // eth/69
	GetBlockAccessListsMsg        = 0x12 // eth/71
	BlockAccessListsMsg           = 0x13 // eth/71
	GetCellsMsg                   = 0x14 // eth/72
	CellsMsg                      = 0x15 // eth/72
)

// A Role says how a message takes part in the protocol.
type Role uint8

// The roles of messages.
const (
	Handshake Role = iota + 1 // Status
	Gossip                    // sent unasked
	Obsolete                  // block propagation of the time before The Merge
	Request                   // begins with a request id and wants an answer
	Response                  // begins with the request id of its request
)

// A Message describes one message of the protocol in one version.
type Message struct {
	Code   uint64
	Name   string // as in the specification
	Role   Role
	Answer uint64 // of a Request: the code of its Response
	Items  int    // of a Request or Response: the length of its list, request id included
}

// Length returns the number of message codes of a version, and 0 if this package
// does not speak it.
func Length(version uint) uint64 {
	switch version {
	case 68:
		return ReceiptsMsg + 1
	case 69, 70:
		return BlockRangeUpdateMsg + 1
	case 71:
		return BlockAccessListsMsg + 1
	case 72:
		return CellsMsg + 1
	}
	return 0
}

// messages describes all messages of the newest version by code. Codes 0x0b to
// 0x0e have none: two were never used, two were removed by EIP-4938.
var messages = [...]Message{
	StatusMsg:                     {Name: "Status", Role: Handshake},
	NewBlockHashesMsg:             {Name: "NewBlockHashes", Role: Obsolete},
	TransactionsMsg:               {Name: "Transactions", Role: Gossip},
	GetBlockHeadersMsg:            {Name: "GetBlockHeaders", Role: Request, Items: 2, Answer: BlockHeadersMsg},
	BlockHeadersMsg:               {Name: "BlockHeaders", Role: Response, Items: 2},
	GetBlockBodiesMsg:             {Name: "GetBlockBodies", Role: Request, Items: 2, Answer: BlockBodiesMsg},
	BlockBodiesMsg:                {Name: "BlockBodies", Role: Response, Items: 2},
	NewBlockMsg:                   {Name: "NewBlock", Role: Obsolete},
	NewPooledTransactionHashesMsg: {Name: "NewPooledTransactionHashes", Role: Gossip},
	GetPooledTransactionsMsg:      {Name: "GetPooledTransactions", Role: Request, Items: 2, Answer: PooledTransactionsMsg},
	PooledTransactionsMsg:         {Name: "PooledTransactions", Role: Response, Items: 2},
	GetReceiptsMsg:                {Name: "GetReceipts", Role: Request, Items: 3, Answer: ReceiptsMsg},
	ReceiptsMsg:                   {Name: "Receipts", Role: Response, Items: 3},
	BlockRangeUpdateMsg:           {Name: "BlockRangeUpdate", Role: Gossip},
	GetBlockAccessListsMsg:        {Name: "GetBlockAccessLists", Role: Request, Items: 2, Answer: BlockAccessListsMsg},
	BlockAccessListsMsg:           {Name: "BlockAccessLists", Role: Response, Items: 2},
	GetCellsMsg:                   {Name: "GetCells", Role: Request, Items: 3, Answer: CellsMsg},
	CellsMsg:                      {Name: "Cells", Role: Response, Items: 4},
}

// Describe returns the description of a message code in a version, and false if
// the version has no such message.
func Describe(version uint, code uint64) (Message, bool) {
	if code >= Length(version) || messages[code].Role == 0 {
		return Message{}, false
	}
	m := messages[code]
	m.Code = code
	if version < 70 && (code == GetReceiptsMsg || code == ReceiptsMsg) {
		m.Items = 2 // eth/70 added the index and the flag of partial lists (EIP-7975)
	}
	return m, true
}

// messageName names a message for people, whatever the code.
func messageName(version uint, code uint64) string {
	if m, ok := Describe(version, code); ok {
		return m.Name
	}
	return fmt.Sprintf("message %#x", code)
}
