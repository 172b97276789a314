//! Runs of archived transfers: their items, and the rows that they stand for.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{MemberRef, Objects, PortResult, StoredRun};
use largesse_domain::audit::{Flow, Run, RunSums};
use largesse_domain::id::{TransferId, UserId};

use crate::archive::read_member;
use crate::errors::{corrupt, port_error};
use crate::item::{Item, Reader, n, s};
use crate::keys::{self, PK, RUN, SK, TX, WALLET};
use crate::store::Store;

pub(super) fn run_item(user: &UserId, stored: &StoredRun) -> Item {
    let StoredRun { run, member } = stored;
    let RunSums { seq_max, links, flow } = run.sums;
    let blob = |bytes: &[u8]| Av::B(Blob::new(bytes.to_vec()));
    let mut item = keys::run(user, run.last);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("object", s(&member.object));
    put("offset", n(member.offset));
    put("length", n(member.length));
    put("lines", n(member.lines));
    put("hash", blob(&member.hash));
    put("first_id", s(run.first));
    put("transfers", n(run.transfers));
    put("seq_max", n(seq_max));
    put("links", blob(&links.to_be_bytes()));
    put("archived", n(flow.transfers));
    put("issued", n(flow.issued));
    put("taken_back", n(flow.taken_back));
    put("into_pools", n(flow.into_pools));
    put("out_of_pools", n(flow.out_of_pools));
    item
}

pub(crate) fn read_run(item: &Item) -> PortResult<StoredRun> {
    let reader = Reader { item, what: "run of archived transfers" };
    let flow = Flow {
        transfers: reader.number("archived")?,
        issued: reader.number("issued")?,
        taken_back: reader.number("taken_back")?,
        into_pools: reader.number("into_pools")?,
        out_of_pools: reader.number("out_of_pools")?,
        ..Flow::default()
    };
    let links = u128::from_be_bytes(reader.bytes("links")?);
    let sums = RunSums { seq_max: reader.number("seq_max")?, links, flow };
    let run = Run {
        first: reader.parse("first_id")?,
        last: reader.parse_after(SK, RUN)?,
        transfers: reader.number("transfers")?,
        sums,
    };
    let member = MemberRef {
        object: reader.text("object")?.to_owned(),
        offset: reader.number("offset")?,
        length: reader.number("length")?,
        lines: reader.number("lines")?,
        hash: reader.bytes("hash")?,
    };
    Ok(StoredRun { run, member })
}

/// Which run of a wallet.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// The one with the greatest ids.
    Latest,
    /// The one with the greatest ids that ends before this transfer.
    Before(TransferId),
    /// The one with the least ids that ends with this transfer or behind it.
    From(TransferId),
}

impl Store {
    /// A run of the wallet, by one read.
    pub(super) async fn run(&self, user: &UserId, which: Which) -> PortResult<Option<StoredRun>> {
        // Sort keys of runs lie between these two: `~` stands behind each digit and letter.
        let (mut first, mut last) = (RUN.to_owned(), format!("{RUN}~"));
        match which {
            Which::Latest => {}
            Which::Before(id) => match id.0.0.checked_sub(1) {
                Some(before) => last = keys::run_sk(TransferId(before.into())),
                None => return Ok(None),
            },
            Which::From(id) => first = keys::run_sk(id),
        }
        let got = self
            .query_between(user, first, last)
            .scan_index_forward(matches!(which, Which::From(_)))
            .limit(1)
            .send()
            .await
            .map_err(|error| port_error("read run of transfers", error))?;
        got.items.unwrap_or_default().first().map(read_run).transpose()
    }

    /// The run that ends with a transfer or behind it: its member, and its last transfer. For an
    /// operator.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`].
    pub async fn member_from(
        &self,
        user: &UserId,
        id: TransferId,
    ) -> PortResult<Option<(MemberRef, TransferId)>> {
        let run = self.run(user, Which::From(id)).await?;
        Ok(run.map(|stored| (stored.member, stored.run.last)))
    }

    /// The items that a run stands for, the oldest first, from the archive: by one read of a part
    /// of an object.
    pub(super) async fn run_rows(
        &self,
        user: &UserId,
        stored: &StoredRun,
    ) -> PortResult<Vec<(TransferId, Item)>> {
        let StoredRun { run, member } = stored;
        let bytes = self.range(&member.object, member.range()).await?;
        let bytes = bytes.ok_or_else(|| corrupt("archived run: the object is missing or short"))?;
        let of_wallet = |item: Item| {
            let reader = Reader { item: &item, what: "archived transfer" };
            let (of, id): (UserId, TransferId) =
                (reader.parse_after(PK, WALLET)?, reader.parse_after(SK, TX)?);
            let is_of = of == *user && (run.first..=run.last).contains(&id);
            if is_of { Ok((id, item)) } else { Err(corrupt("archived run: another wallet's")) }
        };
        read_member(&bytes, member)?.into_iter().map(of_wallet).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_back_as_it_was_written() {
        let id = |ms: u64| TransferId(ulid::Ulid::from_parts(ms, 7));
        let flow = Flow {
            transfers: 9,
            issued: u128::from(u64::MAX) * 3,
            taken_back: 4,
            into_pools: 5,
            out_of_pools: 6,
            ..Flow::default()
        };
        let sums = RunSums { seq_max: 11, links: u128::MAX - 5, flow };
        let run = Run { first: id(1), last: id(2), transfers: 3, sums };
        let object = "transfers/a/b.json.gz".to_owned();
        let member = MemberRef { object, offset: 5, length: 6, lines: 7, hash: [8; 32] };
        let stored = StoredRun { run, member };
        let item = run_item(&"u".parse().unwrap(), &stored);
        assert_eq!(read_run(&item).unwrap(), stored);
        for name in item.keys().filter(|name| *name != PK) {
            let mut less = item.clone();
            less.remove(name);
            assert!(read_run(&less).is_err(), "{name}");
        }
    }
}
