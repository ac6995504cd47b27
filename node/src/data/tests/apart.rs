//! Snapshots in buckets against the whole ones.

use std::collections::BTreeMap;

use banyan_proto::canonical::Digest;
use banyan_proto::job::Split;

use super::*;

fn split(buckets: u32) -> Split {
    Split::new(&Digest([3; 32]), 0, buckets)
}

async fn apart(
    home: &Home,
    set: &Arc<DataSet>,
    selection: &Selection,
    buckets: u32,
    bucket_rows: u64,
    limits: Limits,
) -> Result<(Buckets, Pinned), DataError> {
    Snapshot::take_apart(&home.engine, set, selection, &limits, &SALT, (split(buckets), bucket_rows)).await
}

#[tokio::test]
async fn buckets_together_are_the_whole_snapshot() {
    let home = Home::new();
    let mut selection = by(&["id"]);
    for rows in [0_u64, 1, 31, 33, 1000, 6789] {
        let ids = (0..rows).map(|row| row * row % 5003);
        let content: String = ids.map(|id| format!(" {id:06},{}\n", id % 90)).collect();
        let set = home.csv(format!("id,age\nx,1\n ,2\n{content}"));
        let rules = [Duplicates::First, Duplicates::All];
        for (duplicates, filter_text) in rules.into_iter().flat_map(|rule| [(rule, None), (rule, Some("age <> 7"))]) {
            selection.duplicates = duplicates;
            selection.filter = filter_text.map(|text| filter(text, &set).unwrap());
            let whole = home.take(&set, &selection).await.unwrap();
            let (mut buckets, pinned) = apart(&home, &set, &selection, 8, 6790, Limits::default()).await.unwrap();
            assert_eq!(pinned, whole.pinned, "{rows} rows");
            let mut found = BTreeMap::new();
            for number in 0..buckets.len() {
                let bucket = buckets.take(number, pinned.len()).unwrap();
                assert!(bucket.rows.is_sorted());
                assert!(bucket.items.iter().all(|key| split(8).bucket_of(key) == number));
                let positions = pinned.positions_of(&bucket.rows);
                let keys = bucket.items.iter().map(<[u8]>::to_vec);
                found.extend(positions.as_slice().iter().copied().zip(keys));
                buckets.erase(number);
                assert!(buckets.take(number, 0).is_err(), "erased");
            }
            let expected: BTreeMap<u64, Vec<u8>> = (0..).zip(whole.items.iter().map(<[u8]>::to_vec)).collect();
            assert_eq!(found, expected);
        }
    }
    assert_eq!(fs::read_dir(home.directory.path().join("spill")).unwrap().count(), 0, "nothing has a name");
}

#[tokio::test]
async fn what_is_wrong_is_said_as_of_a_whole_snapshot() {
    let home = Home::new();
    let selection = by(&["id"]);
    let set = home.csv("id,age\n1,2\n2,3\n3,4\n2,5\n1,6\n");
    let whole = home.take(&set, &selection).await.unwrap_err();
    let parts = apart(&home, &set, &selection, 4, 5, Limits::default()).await.unwrap_err();
    assert_eq!(parts.to_string(), whole.to_string());
    let content: String = (0..400).map(|row| format!("{row},1\n")).collect();
    let set = home.csv(format!("id,age\n{content}"));
    let overflow = apart(&home, &set, &selection, 4, 100, Limits::default()).await.unwrap_err();
    assert_eq!(
        overflow.to_string(),
        "data set `tax`: a bucket has more than the 100 keys it is padded to, which happens by chance in one job of 2^40; propose the job under another name, which cuts it elsewhere, or with a lower limits.buckets_min"
    );
    let content: String = (0..20_000).map(|row| format!("{row:0200},1\n")).collect();
    let set = home.csv(format!("id,age\n{content}"));
    let little = Limits { memory_mb: 2, ..Limits::default() };
    assert_eq!(home.take(&set, &selection).await.unwrap().pinned.len(), 20_000);
    assert_eq!(Snapshot::take(&home.engine, &set, &selection, &little, &SALT).await.unwrap_err().code(), "memory");
    assert_eq!(apart(&home, &set, &selection, 8, 20_000, little).await.unwrap().1.len(), 20_000, "an eighth fits");
    let memory = apart(&home, &set, &selection, 1, 20_000, little).await.unwrap_err();
    assert!(memory.to_string().starts_with("a bucket of the key column of data set tax needs more than"), "{memory}");
}
