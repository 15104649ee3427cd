package sqlstore

import "github.com/wafer-auth/wafer/internal/outbox"

// OutboxQueries are the statements on messages that are run again and again.
var OutboxQueries = []string{
	placeOfTopic, dueReceivers, heldMessages, holdMessages, dropMessage, settleAs[outbox.Again], settleAs[outbox.Giving], messagesTo, forgetMessages, giveMessagesUp,
}
