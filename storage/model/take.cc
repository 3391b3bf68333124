// Summaries back from records.
#include "storage/model/take.h"

#include "storage/model/body_form.h"
#include "storage/model/keys.h"
#include "storage/model/records.h"

namespace relais::storage::model {

Result<std::optional<StoredMessage>> read_stored(const Reader& reader, MailboxId mailbox, Uid uid) {
  RELAIS_TRY(const auto octets, reader.get(message_key(mailbox, uid)));
  if (!octets) return std::nullopt;
  RELAIS_TRY(const auto record, decode_message(*octets));
  StoredMessage stored;
  stored.blob = record.blob;
  stored.email_id = record.email_id;
  auto& summary = stored.summary;
  summary.envelope = record.envelope;
  summary.body_structure = record.body_structure;
  RELAIS_TRY_VOID(append_body(summary.body, record.body_structure));
  summary.parts = record.parts;
  summary.header_fields = record.header_fields;
  summary.header_fields_complete = record.header_fields_complete;
  summary.sent_date = record.sent_date;
  summary.sent_zone = record.sent_zone;
  if (record.header_fields_apart) {
    RELAIS_TRY(const auto apart, reader.get(header_key(mailbox, uid)));
    if (!apart) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "header record is missing");
    summary.header_fields = *apart;
  }
  return stored;
}

}  // namespace relais::storage::model
