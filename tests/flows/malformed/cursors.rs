//! Cursors that this service did not give out, or not for this.

use super::Scene;

/// The cursor of a list's first page.
async fn cursor(scene: &Scene, user: &str, path: &str) -> String {
    scene.api.get(user, scene.path(path)).await.expect(200).string("next_cursor")
}

#[tokio::test]
async fn a_cursor_works_only_where_it_was_given_out() {
    let mut scene = Scene::set().await;
    for _ in 0..3 {
        scene.api.deposit("1", 10).await;
        scene.api.deposit("2", 10).await;
        let room = scene.room.clone();
        scene.api.try_spray(&room, "2", 2, 2).await.expect(201);
        scene.api.try_spray(&room, "1", 2, 2).await.expect(201);
    }
    scene.before = scene.api.dump();
    let lists = [
        ("2", "/api/v2/wallets/2/transactions?limit=1"),
        ("2", "/api/v2/wallets/2/transactions?limit=1&type=deposit"),
        ("2", "/api/v2/sprays?limit=1"),
        ("2", "/api/v2/rooms/{room}?limit=1"),
        ("1", "/api/v2/wallets/1/transactions?limit=1"),
        ("1", "/api/v2/sprays?limit=1"),
        ("1", "/api/v2/rooms/{room}?limit=1"),
    ];
    let mut cursors = Vec::new();
    for (user, path) in lists {
        cursors.push(cursor(&scene, user, path).await);
    }
    for (list, (user, path)) in lists.into_iter().enumerate() {
        for (from, cursor) in cursors.iter().enumerate() {
            let at = format!("{}&cursor={cursor}", scene.path(path));
            let reply = scene.api.get(user, at).await;
            if from == list {
                assert_eq!(reply.status, 200, "{path}: {}", reply.text);
                continue;
            }
            scene.refused(&reply, 400, "ERR001", &format!("{path} with the cursor of {from}"));
            assert_eq!(reply.body["errors"][0]["field"], "cursor");
        }
    }
}

#[tokio::test]
async fn a_forged_cursor_is_refused() {
    let mut scene = Scene::set().await;
    scene.api.deposit("2", 10).await;
    let room = scene.room.clone();
    scene.api.try_spray(&room, "2", 2, 2).await.expect(201);
    scene.api.try_spray(&room, "2", 2, 2).await.expect(201);
    scene.before = scene.api.dump();
    for path in ["/api/v2/wallets/2/transactions", "/api/v2/sprays", "/api/v2/rooms/{room}"] {
        let real = cursor(&scene, "2", &format!("{path}?limit=1")).await;
        let (first, last) = (&real[1..], &real[..real.len() - 1]);
        let turned: String = real.chars().rev().collect();
        let forged = [
            String::new(),
            "x".to_owned(),
            "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            first.to_owned(),
            last.to_owned(),
            format!("{real}A"),
            format!("{real}%3D"),
            turned,
            real.to_uppercase(),
            format!("%20{real}"),
            format!("{real}%00"),
            "%FF%FE".to_owned(),
            real.repeat(2),
            "A".repeat(10_000),
            format!("B{first}"),
            format!("{real}&cursor={real}"),
        ];
        for forged in forged {
            let at = format!("{}?limit=1&cursor={forged}", scene.path(path));
            let reply = scene.api.get("2", at).await;
            scene.refused(&reply, 400, "ERR001", &format!("{path} {forged:.100}"));
        }
    }
}
